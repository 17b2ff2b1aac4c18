// What the tests of this folder share: a folder, a mounter that only notes, and pods from JSON.
#pragma once

#include "orlop/kube/json.hpp"
#include "orlop/pods.hpp"
#include "orlop/testing/temporary_folder.hpp"
#include "plugins/node-agent/volumes/mounter.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gtest/gtest.h>

namespace orlop::agent {

using testing::TemporaryFolder;

// Mounts nothing; tells what it was asked.
class NotingMounter final : public Mounter {
 public:
  Status mount(const std::string& type, const std::string& folder, const std::string& options) override {
    if (!refused_option.empty() && options.find(refused_option) != std::string::npos) {
      return {Code::kUnavailable, "Invalid argument"};
    }
    mounted[folder] = type + " " + options;
    return Status::ok();
  }
  Status bind(int descriptor, const std::string& target) override {
    std::error_code error;
    mounted[target] =
        "bind " + std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error).string();
    return Status::ok();
  }
  Status unmount(const std::string& target) override {
    mounted.erase(target);
    ++unmounted;
    return Status::ok();
  }
  bool is_mount_point(const std::string& path) override { return mounted.contains(path); }

  std::map<std::string, std::string> mounted;
  std::string refused_option;
  int unmounted = 0;
};

inline kube::Pod pod_from(const std::string& spec, const std::string& metadata = "") {
  kube::Pod pod;
  const std::string json =
      R"({"metadata":{"name":"p","namespace":"default","uid":"u")" + metadata + R"(},"spec":{)" + spec + "}}";
  const auto decoded = kube::from_json(json, pod);
  EXPECT_TRUE(decoded.is_ok()) << decoded.message() << json;
  return pod;
}

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace orlop::agent
