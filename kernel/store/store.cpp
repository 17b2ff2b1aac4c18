#include "kernel/store/store.hpp"

#include <future>

namespace orlop::store {

bool TermsView::contains(std::string_view term) const {
  bool found = false;
  for_each([&](std::string_view candidate) { found = found || candidate == term; });
  return found;
}

std::vector<std::string> TermsView::to_vector() const {
  std::vector<std::string> terms;
  for_each([&](std::string_view term) { terms.emplace_back(term); });
  return terms;
}

Result<Record> Reader::get(const Key& key, Revision at_revision) {
  std::optional<Record> found;
  auto read = get(std::span(&key, 1), at_revision, [&](std::size_t, const RecordView* view) {
    if (view != nullptr) {
      found = Record{
          key,         view->create_revision, view->revision, std::string(view->value), view->index_terms.to_vector(),
          view->sealed};
    }
    return true;
  });
  if (!read) return read.status();
  if (!found) return Status(Code::kNotFound, "there is no " + describe(key));
  return std::move(*found);
}

Result<CommitResult> Store::commit_and_wait(Transaction transaction) {
  // Shared with the callback: the promise must live until set_value has returned, not only until the future is ready.
  auto promise = std::make_shared<std::promise<Result<CommitResult>>>();
  auto answer = promise->get_future();
  commit(std::move(transaction), [promise](Result<CommitResult> result) { promise->set_value(std::move(result)); });
  return answer.get();
}

}  // namespace orlop::store
