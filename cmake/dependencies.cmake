# Everything comes from Debian 12; quickstart.sh and test.sh install the packages named here.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)        # libfmt-dev
find_package(spdlog REQUIRED)     # libspdlog-dev
find_package(CLI11 REQUIRED)      # libcli11-dev
find_package(Boost 1.81 REQUIRED COMPONENTS json)  # libboost1.81-dev libboost-json1.81-dev
find_package(ICU REQUIRED COMPONENTS uc i18n data)      # libicu-dev
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)  # libpcre2-dev
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)        # libhwy-dev
find_package(prometheus-cpp REQUIRED COMPONENTS core)         # prometheus-cpp-dev
find_package(SQLite3 3.35 REQUIRED)                            # libsqlite3-dev
find_library(CLD2_LIBRARY cld2 REQUIRED)                      # libcld2-dev
find_package(CURL 7.85 REQUIRED)      # libcurl4-openssl-dev
find_package(OpenSSL 3.0 REQUIRED)    # libssl-dev: SHA-1 and SHA-256
if(PAGODA_TESTS)
  find_package(GTest REQUIRED)    # libgtest-dev libgmock-dev
endif()
