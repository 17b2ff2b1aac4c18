#!/bin/sh
# `redis` alone, with options, or with a configuration file: the server. Any other command runs as it is.
set -e
case ${1:-} in
    '' | -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
    if [ "$(id -u)" = 0 ]; then
        chown -R redis:redis . 2>/dev/null || true
        exec setpriv --reuid redis --regid redis --clear-groups -- "$0" "$@"
    fi
    # Without a configuration file nothing but the pod's network guards the server, as users of the image expect.
    case ${2:-} in
        '' | -*) shift; set -- redis-server --protected-mode no --daemonize no "$@" ;;
    esac
fi
exec "$@"
