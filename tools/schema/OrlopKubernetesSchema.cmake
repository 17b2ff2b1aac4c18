# Sets ORLOP_KUBERNETES_SCHEMA_ROOT to the folder that holds k8s.io/{api,apimachinery,cri-api}, fetched if need be.
set(ORLOP_KUBERNETES_SCHEMA_DIR "" CACHE PATH
  "Folder that holds k8s.io/{api,apimachinery,cri-api} of Kubernetes 1.32; empty: fetched from Debian's packages")

if(ORLOP_KUBERNETES_SCHEMA_DIR)
  set(ORLOP_KUBERNETES_SCHEMA_ROOT "${ORLOP_KUBERNETES_SCHEMA_DIR}")
else()
  set(ORLOP_KUBERNETES_SCHEMA_ROOT "${CMAKE_BINARY_DIR}/schema")
  execute_process(COMMAND "${CMAKE_CURRENT_LIST_DIR}/fetch" "${ORLOP_KUBERNETES_SCHEMA_ROOT}" RESULT_VARIABLE orlop_fetch_result)
  if(NOT orlop_fetch_result EQUAL 0)
    message(FATAL_ERROR "The Kubernetes schema could not be fetched; tools/schema/fetch says above why and how to mend it.")
  endif()
endif()
foreach(file api/core/v1/generated.proto apimachinery/pkg/apis/meta/v1/generated.proto cri-api/pkg/apis/runtime/v1/api.proto)
  if(NOT EXISTS "${ORLOP_KUBERNETES_SCHEMA_ROOT}/k8s.io/${file}")
    message(FATAL_ERROR "${ORLOP_KUBERNETES_SCHEMA_ROOT}/k8s.io/${file} is missing. Set ORLOP_KUBERNETES_SCHEMA_DIR to the "
      "folder that holds k8s.io/ of Kubernetes 1.32, or unset it to have it fetched (tools/schema/README.md).")
  endif()
endforeach()
