// Every parser against bytes that were right once: the golden files, cut, flipped and doubled at places that a printed
// seed chooses. Nothing may crash, and what is taken must come out the same the second time.
#include "orlop/kube/core_v1.hpp"
#include "orlop/kube/envelope.hpp"
#include "orlop/kube/json.hpp"
#include "orlop/kube/quantity.hpp"
#include "orlop/kube/yaml.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <google/protobuf/message.h>
#include <gtest/gtest.h>

namespace orlop::kube {
namespace {

using k8s::io::api::core::v1::Pod;

constexpr uint32_t kSeed = 20;
constexpr int kRounds = 1500;

std::string golden(const std::string& name) {
  std::ifstream input(std::filesystem::path(ORLOP_GOLDEN_DIR) / name, std::ios::binary);
  std::stringstream out;
  out << input.rdbuf();
  return out.str();
}

class Mutator {
 public:
  std::string mutated(std::string text) {
    const size_t changes = 1 + random_() % 4;
    for (size_t i = 0; i < changes && !text.empty(); ++i) change(text);
    return text;
  }

 private:
  void change(std::string& text) {
    const size_t at = random_() % text.size();
    switch (random_() % 5) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text[at] = static_cast<char>(random_());
        break;
      case 2:
        text[at] = "{}[]\",:0-e\\\n &*!"[random_() % 16];
        break;
      case 3:
        text.erase(at, 1 + random_() % 20);
        break;
      default:
        text.insert(at, text.substr(random_() % text.size(), random_() % 40));
        break;
    }
  }

  std::mt19937 random_{kSeed};
};

TEST(RobustTest, Json) {
  RecordProperty("seed", static_cast<int>(kSeed));
  const std::string text = golden("core.v1.Pod.json");
  ASSERT_FALSE(text.empty());
  Mutator mutator;
  for (int i = 0; i < kRounds; ++i) {
    const std::string bad = mutator.mutated(text);
    Pod pod;
    const auto decoded = from_json(bad, pod);
    if (!decoded) {
      EXPECT_FALSE(decoded.message().empty());
      continue;
    }
    std::string once;
    to_json(pod, "v1", "Pod", once);
    std::string transcoded;
    ASSERT_TRUE(wire_to_json(*Pod::descriptor(), pod.SerializeAsString(), "v1", "Pod", transcoded));
    EXPECT_EQ(transcoded, once);
    Pod again;
    ASSERT_TRUE(from_json(once, again, {.strict = true})) << once;
    std::string twice;
    to_json(again, "v1", "Pod", twice);
    EXPECT_EQ(twice, once);
  }
}

TEST(RobustTest, Wire) {
  const std::string bytes = golden("core.v1.Pod.pb");
  Mutator mutator;
  for (int i = 0; i < kRounds; ++i) {
    const std::string bad = mutator.mutated(bytes);
    const auto envelope = decode_envelope(bad);
    if (!envelope) continue;
    std::string out;
    static_cast<void>(wire_to_json(*Pod::descriptor(), envelope->raw, "v1", "Pod", out));
    Pod pod;
    if (pod.ParseFromArray(envelope->raw.data(), static_cast<int>(envelope->raw.size())))
      to_json(pod, "v1", "Pod", out);
  }
}

TEST(RobustTest, Yaml) {
  const std::string text = golden("core.v1.Pod.yaml").substr(0, 8000);
  Mutator mutator;
  for (int i = 0; i < kRounds / 5; ++i) {
    const auto documents = yaml_to_json(mutator.mutated(text));
    if (!documents) continue;
    for (const auto& json : *documents) {
      Pod pod;
      const auto decoded = from_json(json, pod);
      // Whatever it means, it is JSON.
      EXPECT_TRUE(decoded || decoded.message().find("invalid character") == std::string::npos) << decoded.message();
    }
  }
}

TEST(RobustTest, Quantities) {
  Mutator mutator;
  for (int i = 0; i < kRounds * 10; ++i) {
    const auto parsed = Quantity::parse(mutator.mutated("-12345.678Gi"));
    if (!parsed) continue;
    const std::string text = parsed->to_string();
    const auto again = Quantity::parse(text);
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(*again, *parsed) << text;
  }
}

}  // namespace
}  // namespace orlop::kube
