// Generated names, as Kubernetes makes them (k8s.io/apimachinery util/rand). Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace orlop {

// No vowels and no look-alikes, so that no words appear.
inline constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

// The thread's own source of names.
inline std::mt19937_64& name_random() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random;
}
// For simulations: the names that this thread makes from here on follow from the seed.
inline void seed_names(std::uint64_t seed) {
  name_random().seed(seed);
}

// What stands behind the dash of a generated name. Unique only by chance: on kAlreadyExists take another.
inline std::string random_suffix(std::size_t length = 5) {
  std::uniform_int_distribution<std::size_t> pick(0, kNameAlphabet.size() - 1);
  std::string out;
  for (std::size_t i = 0; i < length; ++i) out += kNameAlphabet[pick(name_random())];
  return out;
}

}  // namespace orlop
