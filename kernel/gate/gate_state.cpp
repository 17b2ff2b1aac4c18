#include "kernel/gate/gate_state.hpp"

#include "kernel/gate/transaction.hpp"

namespace orlop::gate {

bool GateState::take_turn(const store::Key& key, const std::shared_ptr<Transaction>& transaction, bool only_if_taken) {
  if (only_if_taken && turns_size_.load() == 0) return true;
  const std::lock_guard lock(turns_mutex_);
  const auto found = turns_.find(key);
  if (found != turns_.end()) {
    found->second.push_back(transaction);
    return false;
  }
  if (!only_if_taken) {
    turns_.try_emplace(key);
    turns_size_.store(turns_.size());
  }
  return true;
}

void GateState::give_turn(const store::Key& key) {
  std::shared_ptr<Transaction> next;
  {
    const std::lock_guard lock(turns_mutex_);
    const auto found = turns_.find(key);
    if (found->second.empty()) {
      turns_.erase(found);
      turns_size_.store(turns_.size());
      return;
    }
    next = std::move(found->second.front());
    found->second.pop_front();
  }
  worker_.post([next = std::move(next)] { next->turn_came(); });
}

}  // namespace orlop::gate
