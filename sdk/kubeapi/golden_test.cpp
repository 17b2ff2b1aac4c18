// The golden pairs that Kubernetes ships beside its schema: every kind with every field filled, in JSON and protobuf.
// Both ways must give the same bytes. Groups that are not compiled in are read with dynamic messages from the
// descriptors.
#include "orlop/kube/envelope.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/schema.hpp"

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

namespace pb = google::protobuf;

std::string read(const std::filesystem::path& path) {
  std::ifstream input(path, std::ios::binary);
  std::stringstream out;
  out << input.rdbuf();
  return out.str();
}

// The golden files are indented; an apiserver's answer is not.
std::string compacted(const std::string& json) {
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      out += c;
      if (c == '\\') out += json[++i];
      in_string = c != '"';
    } else if (std::string_view(" \n\t\r").find(c) == std::string_view::npos) {
      out += c;
      in_string = c == '"';
    }
  }
  return out;
}

std::string serialised(const pb::Message& message) {
  std::string out;
  pb::io::StringOutputStream stream(&out);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

class Schema {
 public:
  Schema() {
    pb::FileDescriptorSet set;
    std::ifstream input(ORLOP_DESCRIPTOR_SET, std::ios::binary);
    EXPECT_TRUE(set.ParseFromIstream(&input));
    // A file comes after those that it imports, but not always: go on until none is left.
    std::vector<const pb::FileDescriptorProto*> left;
    for (const auto& file : set.file()) left.push_back(&file);
    while (!left.empty()) {
      std::vector<const pb::FileDescriptorProto*> later;
      for (const auto* file : left) {
        bool ready = true;
        for (const auto& import : file->dependency()) ready &= pool_.FindFileByName(import) != nullptr;
        if (ready) {
          pool_.BuildFile(*file);
          packages_.insert(file->package());
        } else {
          later.push_back(file);
        }
      }
      if (later.size() == left.size()) break;
      left = std::move(later);
    }
  }

  const pb::Message* prototype_of(const std::string& group, const std::string& version, const std::string& kind) {
    const auto* compiled = find_message(group == "core" ? "" : group, version, kind);
    if (compiled != nullptr) return prototype(*compiled);
    std::string folder = group.substr(0, group.find('.'));
    if (group == "internal.apiserver.k8s.io") folder = "apiserverinternal";
    for (const auto& package :
         {"k8s.io.api." + folder + "." + version, std::string("k8s.io.apimachinery.pkg.apis.meta.v1")}) {
      const auto* descriptor = pool_.FindMessageTypeByName(package + "." + kind);
      if (descriptor != nullptr) return factory_.GetPrototype(descriptor);
    }
    return nullptr;
  }

 private:
  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_;
  std::set<std::string> packages_;
};

// One pair of files, e.g. core.v1.Pod.{json,pb}.
struct Golden {
  explicit Golden(const std::string& name) {
    const auto kind_at = name.rfind('.');
    const auto version_at = name.rfind('.', kind_at - 1);
    message_kind = name.substr(kind_at + 1);
    prototype = schema().prototype_of(name.substr(0, version_at), name.substr(version_at + 1, kind_at - version_at - 1),
                                      message_kind);
    json = compacted(read(std::filesystem::path(ORLOP_GOLDEN_DIR) / (name + ".json")));
    binary = read(std::filesystem::path(ORLOP_GOLDEN_DIR) / (name + ".pb"));
  }

  static Schema& schema() {
    static Schema schema;
    return schema;
  }

  std::string message_kind, json, binary;
  const pb::Message* prototype = nullptr;
};

std::vector<std::string> golden_names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(ORLOP_GOLDEN_DIR)) {
    if (entry.path().extension() == ".json") out.push_back(entry.path().stem());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(GoldenTest, ProtobufToJson) {
  for (const auto& name : golden_names()) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    ASSERT_NE(golden.prototype, nullptr);
    const auto envelope = decode_envelope(golden.binary);
    ASSERT_TRUE(envelope) << envelope.message();
    const std::unique_ptr<pb::Message> message(golden.prototype->New());
    ASSERT_TRUE(message->ParseFromArray(envelope->raw.data(), static_cast<int>(envelope->raw.size())));
    std::string out;
    to_json(*message, envelope->api_version, envelope->kind, out);
    EXPECT_EQ(out, golden.json);
    std::string transcoded;
    ASSERT_TRUE(
        wire_to_json(*message->GetDescriptor(), envelope->raw, envelope->api_version, envelope->kind, transcoded));
    EXPECT_EQ(transcoded, golden.json);
  }
}

TEST(GoldenTest, JsonToProtobuf) {
  for (const auto& name : golden_names()) {
    SCOPED_TRACE(name);
    const Golden golden(name);
    ASSERT_NE(golden.prototype, nullptr);
    const auto envelope = decode_envelope(golden.binary);
    ASSERT_TRUE(envelope) << envelope.message();
    const std::unique_ptr<pb::Message> message(golden.prototype->New());
    const auto decoded = from_json(golden.json, *message, {.strict = true});
    ASSERT_TRUE(decoded) << decoded.message();
    std::string out;
    encode_envelope(envelope->api_version, envelope->kind, serialised(*message), out);
    EXPECT_EQ(out, golden.binary) << message->DebugString();
  }
}

TEST(GoldenTest, AllAreThere) {
  EXPECT_EQ(golden_names().size(), 171u);
}

}  // namespace
}  // namespace orlop::kube
