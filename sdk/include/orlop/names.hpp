// Generated names, as Kubernetes makes them (k8s.io/apimachinery util/rand). Threads: any.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace orlop {

// No vowels and no look-alikes, so that no words appear.
inline constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

// What stands behind the dash of a generated name. Unique only by chance: on kAlreadyExists take another.
inline std::string random_suffix(std::size_t length = 5) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> pick(0, kNameAlphabet.size() - 1);
  std::string out;
  for (std::size_t i = 0; i < length; ++i) out += kNameAlphabet[pick(random)];
  return out;
}

}  // namespace orlop
