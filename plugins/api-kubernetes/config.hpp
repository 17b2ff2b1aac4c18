// The plugin's settings, read once.
#pragma once

#include "orlop/config.hpp"
#include "orlop/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orlop::apikube {

struct Settings {
  std::string address = "0.0.0.0";
  uint16_t port = 6443;
  unsigned threads = 0;           // 0: one for each core
  std::string advertise_address;  // what the kubernetes Service leads to; empty: the machine's first
  std::string service_cidr = "10.96.0.0/12";
  std::string service_address;  // the kubernetes Service's: the first of the range
  int32_t node_port_min = 30000;
  int32_t node_port_max = 32767;
  std::string cluster_domain = "cluster.local";
  std::string kubeconfig = "admin.kubeconfig";
  std::string token_file;
  std::vector<std::string> certificate_names;
  bool compress_on_loopback = false;
  bool provides_kinds = true;  // false: a further front-end beside the one that does
  std::string config_folder = "/etc/orlop";
};

// kInvalid: a value that makes no sense; the message names the key and how to mend it.
Result<Settings> read_settings(const Config& config);

}  // namespace orlop::apikube
