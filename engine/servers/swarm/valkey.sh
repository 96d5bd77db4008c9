# Valkey or Redis on a volume, from whatever image has one of them. All that it is told is in its secret.
set -eu
umask 077
mkdir -p /var/tmp/valkey
# Never two on one volume, also while the Swarm has not seen the former one end.
exec 9>>/var/tmp/valkey/lock
flock 9
server=$(command -v valkey-server || command -v redis-server) ||
  { echo "This image has neither valkey-server nor redis-server." >&2; exit 1; }
exec "$server" /run/secrets/server.conf
