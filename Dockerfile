# One image for every part of the platform: web, conduct, migrate, router (see bin/container).
#   docker build -t slipway/platform .
# Any Debian with Python 3.11 or newer does as a base: --build-arg BASE=slipway/stack:24 where no registry can be reached.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates curl git haproxy libcap2-bin procps tini zstd \
 && (command -v python3 >/dev/null || apt-get install -y --no-install-recommends python3) \
 && (python3 -m venv --help >/dev/null || apt-get install -y --no-install-recommends python3-venv) \
 && rm -rf /var/lib/apt/lists/* \
 # The router listens on ports 80 and 443 as an ordinary user, with no other right.
 && setcap cap_net_bind_service+ep /usr/sbin/haproxy

WORKDIR /srv/slipway
COPY requirements.txt constraints.txt ./
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --quiet -r requirements.txt -c constraints.txt
COPY . .
RUN /opt/venv/bin/python -m compileall -q -x '/samples/' . \
 && groupadd --gid 10001 slipway && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home slipway

ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--", "/srv/slipway/bin/container"]
CMD ["web"]
