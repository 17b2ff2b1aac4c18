# shellcheck shell=bash disable=SC2154
# The configuration that ./quickstart runs orlopd with. Sourced by it: uses $data, $run, $config, $state.
# What is not named here keeps its default; see the commented file that `orlopd --print-config` shows.
quickstart_config() {
  cat <<END
# Written by ./quickstart at each of its runs.
folders:
  data: $data
  run: $run
  config: $config
END
}
