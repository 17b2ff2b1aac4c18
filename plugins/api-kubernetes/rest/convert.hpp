// Kinds that are served in two versions over one storage: HorizontalPodAutoscaler v1 and v2, Event of core and of
// events.k8s.io.
#pragma once

namespace google::protobuf {
class Message;
}

namespace orlop::rest {

// Fills `to`, an empty message of the other version, from `from`. Nothing that both versions can say is lost; what only
// one can say is kept as Kubernetes keeps it (annotations of the v1 autoscaler).
void convert(const google::protobuf::Message& from, google::protobuf::Message& to);

}  // namespace orlop::rest
