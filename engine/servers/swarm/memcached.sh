# memcached that asks for a password: $1 is the user, the others are arguments.
set -eu
umask 077
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
user=$1 secret=/run/secrets/password conf=/tmp/sasl
shift
mkdir -p "$conf"
if command -v saslpasswd2 >/dev/null; then
  rm -f "$conf/users"
  # Users are of the machine's name, as the server looks for them.
  saslpasswd2 -p -c -f "$conf/users" -u "$(tr A-Z a-z </proc/sys/kernel/hostname)" "$user" <"$secret"
  printf '%s\n' 'mech_list: plain' 'pwcheck_method: auxprop' 'auxprop_plugin: sasldb' "sasldb_path: $conf/users" \
    >"$conf/memcached.conf"
else
  # Images of memcached's makers have no such program, and a memcached that reads a file of its own kind.
  printf '%s:%s\n' "$user" "$(cat "$secret")" >"$conf/users"
  printf '%s\n' 'mech_list: plain' >"$conf/memcached.conf"
  export MEMCACHED_SASL_PWDB="$conf/users"
fi
export SASL_CONF_PATH="$conf"
exec memcached --enable-sasl "$@"
