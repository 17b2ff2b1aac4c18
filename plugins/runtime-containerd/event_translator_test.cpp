#include "plugins/runtime-containerd/event_translator.hpp"

#include "containerd.pb.h"

#include <gtest/gtest.h>

namespace orlop::containerd {
namespace {

class EventTranslatorTest : public ::testing::Test {
 protected:
  template <typename Message>
  Translation translate(const std::string& topic, const Message& message) {
    wire::Envelope envelope;
    envelope.set_topic(topic);
    envelope.mutable_timestamp()->set_seconds(5);
    envelope.mutable_event()->set_value(message.SerializeAsString());
    return translator_.translate(envelope.SerializeAsString());
  }

  int questions_ = 0;
  EventTranslator translator_{[this](const std::string& id) -> std::optional<bool> {
    ++questions_;
    if (id == "gone") return std::nullopt;
    return id.starts_with("pod");
  }};
};

TEST_F(EventTranslatorTest, ContainerCreatedAndItsSandboxLeftOut) {
  wire::ContainerCreate create;
  create.set_id("c1");
  auto translation = translate("/containers/create", create);
  ASSERT_TRUE(translation.event);
  EXPECT_EQ(translation.event->type, EventType::kContainerCreated);
  EXPECT_EQ(translation.event->at_unix_ns, 5'000'000'000);
  create.set_id("pod1");
  EXPECT_FALSE(translate("/containers/create", create).event);
}

TEST_F(EventTranslatorTest, StartOfASandboxMeansReady) {
  wire::TaskStart start;
  start.set_container_id("pod1");
  EXPECT_EQ(translate("/tasks/start", start).event->type, EventType::kSandboxReady);
  start.set_container_id("c1");
  EXPECT_EQ(translate("/tasks/start", start).event->type, EventType::kContainerStarted);
  translate("/tasks/start", start);
  EXPECT_EQ(questions_, 2) << "an id is asked about once";
}

TEST_F(EventTranslatorTest, ExitIsConfirmedAndThatOfAnExecLeftOut) {
  wire::TaskExit exit;
  exit.set_container_id("c1");
  exit.set_id("c1");
  exit.set_exit_status(137);
  exit.mutable_exited_at()->set_seconds(7);
  auto translation = translate("/tasks/exit", exit);
  ASSERT_TRUE(translation.event);
  EXPECT_TRUE(translation.confirm);
  EXPECT_EQ(translation.event->type, EventType::kContainerStopped);
  EXPECT_EQ(translation.event->exit_code, 137);
  EXPECT_EQ(translation.event->at_unix_ns, 7'000'000'000);
  exit.set_id("an-exec");
  EXPECT_FALSE(translate("/tasks/exit", exit).event);
}

TEST_F(EventTranslatorTest, RemovalOfTheUnknownIsAContainers) {
  wire::ContainerDelete removal;
  removal.set_id("gone");
  EXPECT_EQ(translate("/containers/delete", removal).event->type, EventType::kContainerRemoved);
  translator_.learn("pod9", true);
  removal.set_id("pod9");
  EXPECT_FALSE(translate("/containers/delete", removal).event);
}

TEST_F(EventTranslatorTest, OtherTopicsAndGarbage) {
  wire::ContainerDelete any;
  EXPECT_EQ(translate("/orlop/probe", any).foreign_topic, "/orlop/probe");
  EXPECT_FALSE(translate("/tasks/paused", any).event);
  EXPECT_TRUE(translate("/tasks/paused", any).foreign_topic.empty());
  EXPECT_FALSE(translator_.translate("\xff\xff garbage").event);
  EXPECT_FALSE(translator_.translate("").event);
}

}  // namespace
}  // namespace orlop::containerd
