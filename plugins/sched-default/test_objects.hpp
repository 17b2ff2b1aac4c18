// Nodes and pods for the tests of this folder.
#pragma once

#include "orlop/pods.hpp"
#include "plugins/sched-default/model.hpp"

#include <string>

namespace orlop::sched {

inline core::Node make_node(const std::string& name, const std::string& cpu = "4", const std::string& memory = "8Gi",
                            const std::string& pods = "110") {
  core::Node out;
  out.mutable_metadata()->set_name(name);
  (*out.mutable_metadata()->mutable_labels())["kubernetes.io/hostname"] = name;
  auto& allocatable = *out.mutable_status()->mutable_allocatable();
  allocatable["cpu"].set_string(cpu);
  allocatable["memory"].set_string(memory);
  allocatable["pods"].set_string(pods);
  return out;
}

inline void request(core::Container& container, const std::string& name, const std::string& amount) {
  (*container.mutable_resources()->mutable_requests())[name].set_string(amount);
}

// In namespace default, for the default scheduler, with one container that asks for so much ("" for nothing).
inline kube::Pod make_pod(const std::string& name, const std::string& cpu = "", const std::string& memory = "") {
  kube::Pod out;
  out.mutable_metadata()->set_name(name);
  out.mutable_metadata()->set_namespace_("default");
  out.mutable_metadata()->set_uid("uid-" + name);
  out.mutable_spec()->set_schedulername("default-scheduler");
  auto& container = *out.mutable_spec()->add_containers();
  container.set_name("c");
  if (!cpu.empty()) request(container, "cpu", cpu);
  if (!memory.empty()) request(container, "memory", memory);
  return out;
}

}  // namespace orlop::sched
