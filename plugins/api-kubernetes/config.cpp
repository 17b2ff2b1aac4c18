#include "plugins/api-kubernetes/config.hpp"

#include <charconv>

#include <arpa/inet.h>

namespace orlop::apikube {
namespace {

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Status read_listen(const std::string& text, Settings& settings) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || !read_number(std::string_view(text).substr(colon + 1), settings.port)) {
    return {Code::kInvalid, "listen: \"" + text + "\" is not ADDRESS:PORT; write for instance 0.0.0.0:6443"};
  }
  settings.address = text.substr(0, colon);
  if (settings.address.starts_with('[') && settings.address.ends_with(']')) {
    settings.address = settings.address.substr(1, settings.address.size() - 2);
  }
  if (settings.address.empty()) settings.address = "0.0.0.0";
  return Status::ok();
}

Status read_node_ports(const std::string& text, Settings& settings) {
  size_t dash = text.find('-');
  bool good =
      dash != std::string::npos && read_number(std::string_view(text).substr(0, dash), settings.node_port_min) &&
      read_number(std::string_view(text).substr(dash + 1), settings.node_port_max) && settings.node_port_min > 0 &&
      settings.node_port_min <= settings.node_port_max && settings.node_port_max <= 65535;
  if (good) return Status::ok();
  return {Code::kInvalid, "node_ports: \"" + text + "\" is not FIRST-LAST; write for instance 30000-32767"};
}

// The first address of a range: that of the kubernetes Service.
Status read_service_address(Settings& settings) {
  std::string base = settings.service_cidr.substr(0, settings.service_cidr.find('/'));
  in_addr address{};
  if (inet_pton(AF_INET, base.c_str(), &address) != 1) {
    return {Code::kInvalid,
            "service_cidr: \"" + settings.service_cidr + "\" is not an IPv4 range; write for instance 10.96.0.0/12"};
  }
  address.s_addr = htonl(ntohl(address.s_addr) + 1);
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &address, text, sizeof text);
  settings.service_address = text;
  return Status::ok();
}

}  // namespace

Result<Settings> read_settings(const Config& config) {
  Settings settings;
  ORLOP_TRY(read_listen(config.text("listen", "0.0.0.0:6443"), settings));
  ORLOP_TRY(read_node_ports(config.text("node_ports", "30000-32767"), settings));
  settings.threads = static_cast<unsigned>(config.integer("threads", 0));
  settings.advertise_address = config.text("advertise_address");
  settings.service_cidr = config.text("service_cidr", "10.96.0.0/12");
  ORLOP_TRY(read_service_address(settings));
  settings.cluster_domain = config.text("cluster_domain", "cluster.local");
  settings.kubeconfig = config.text("kubeconfig", "admin.kubeconfig");
  settings.token_file = config.text("token_file");
  settings.certificate_names = config.texts("certificate_names");
  settings.compress_on_loopback = config.boolean("compress_on_loopback", false);
  settings.provides_kinds = config.boolean("provide_kinds", true);
  std::string folder = config.folder("config");
  if (!folder.empty()) settings.config_folder = folder;
  return settings;
}

}  // namespace orlop::apikube
