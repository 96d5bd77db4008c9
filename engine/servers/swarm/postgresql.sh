# PostgreSQL on a volume, from whatever image has its programs. Arguments are settings, name=value.
set -eu
umask 077
home=/var/tmp/postgresql data=/var/tmp/postgresql/data secret=/run/secrets/admin
mkdir -p "$home"
# Never two on one volume, also while the Swarm has not seen the former one end.
exec 9>>"$home/lock"
flock 9
major=$(cat "$data/PG_VERSION" 2>/dev/null || true)
bin=$(ls -d /usr/lib/postgresql/${major:-*}/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v postgres || true)")
[ -x "$bin/initdb" ] || { echo "This image has no PostgreSQL $major." >&2; exit 1; }
sum=$(sha256sum "$secret" | cut -c 1-64)
if [ -z "$major" ]; then
  rm -rf "$home/fresh"
  "$bin/initdb" -D "$home/fresh" -U slipway -E UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --pwfile="$secret" \
    --no-instructions >/dev/null
  echo "$sum" >"$home/admin.sum"
  mv "$home/fresh" "$data"
fi
# The platform may have lost its folder, and with it the password that the cluster was made with.
if [ "$(cat "$home/admin.sum" 2>/dev/null || true)" != "$sum" ]; then
  echo "ALTER ROLE slipway PASSWORD '$(cat "$secret")'" |
    "$bin/postgres" --single -D "$data" -c log_min_messages=fatal postgres >/dev/null
  echo "$sum" >"$home/admin.sum"
fi
printf '%s\n' 'host replication all all reject' 'host all all all scram-sha-256' >/tmp/pg_hba.conf
for library in "$bin"/../lib/pg_stat_statements.so /usr/local/lib/postgresql/pg_stat_statements.so; do
  if [ -e "$library" ]; then set -- "$@" shared_preload_libraries=pg_stat_statements; break; fi
done
left=$#
while [ "$left" -gt 0 ]; do
  set -- "$@" -c "$1"
  shift
  left=$((left - 1))
done
exec "$bin/postgres" -D "$data" -c hba_file=/tmp/pg_hba.conf "$@"
