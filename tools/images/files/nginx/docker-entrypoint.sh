#!/bin/sh
# Runs what /docker-entrypoint.d holds, then the command.
set -e
if [ "$1" = nginx ]; then
    if [ ! -e /proc/net/if_inet6 ] && [ -w /etc/nginx/conf.d/default.conf ]; then
        sed -i '/listen \[::\]:80/d' /etc/nginx/conf.d/default.conf
    fi
    for hook in /docker-entrypoint.d/*.sh; do
        [ -x "$hook" ] && "$hook"
    done
    echo "$0: configuration complete, starting nginx"
fi
exec "$@"
