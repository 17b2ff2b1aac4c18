# Every third-party library, found once. Debian 12's packages are listed in tools/packages.txt.

set(Boost_USE_STATIC_LIBS OFF)
find_package(Boost 1.81 REQUIRED COMPONENTS filesystem json url)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(LDNS REQUIRED IMPORTED_TARGET ldns)
find_package(nng REQUIRED)
find_package(benchmark REQUIRED)
find_package(simdjson REQUIRED)
# Optional: without it the tree is built without runtime-containerd. Asked once: pkg-config takes ten seconds over it.
pkg_check_modules(GRPCPP IMPORTED_TARGET grpc++)

# Asio and Beast are compiled once, in sdk/asio, not in each file that includes them.
