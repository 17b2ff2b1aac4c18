// The contract of capability `storage`, with mounts that are only noted.
#include "plugins/storage-local/provider.hpp"

namespace orlop::testing {

INSTANTIATE_TEST_SUITE_P(Local, StorageConformance,
                         ::testing::Values(StorageCase{
                             "noted",
                             [] { return std::make_shared<local::Provider>(std::make_unique<local::NotedMounts>()); }}),
                         storage_case_name);

}  // namespace orlop::testing
