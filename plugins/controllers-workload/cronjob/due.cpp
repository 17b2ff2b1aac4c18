#include "plugins/controllers-workload/cronjob/due.hpp"

#include "plugins/controllers-workload/owned_pods.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace orlop::workload {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kPaddingNs = 100'000'000;  // for clocks that differ a little
constexpr int64_t kManyMissed = 100;
constexpr char kScheduledAnnotation[] = "batch.kubernetes.io/cronjob-scheduled-timestamp";

int64_t seconds(int64_t ns) {
  return ns / kSecondNs - (ns % kSecondNs < 0 ? 1 : 0);
}

}  // namespace

Result<MostRecent> most_recent(const CronJob& job, const Schedule& schedule, int64_t now_ns, bool with_deadline) {
  MostRecent out;
  out.earliest_ns = (job.status().has_lastscheduletime() ? job.status().lastscheduletime().seconds()
                                                         : job.metadata().creationtimestamp().seconds()) *
                    kSecondNs;
  if (with_deadline && job.spec().has_startingdeadlineseconds()) {
    // A deadline of centuries must not overflow.
    const int64_t deadline_s = std::min<int64_t>(job.spec().startingdeadlineseconds(), now_ns / kSecondNs);
    out.earliest_ns = std::max(out.earliest_ns, now_ns - deadline_s * kSecondNs);
  }
  const auto first = schedule.next(seconds(out.earliest_ns));
  if (first && now_ns < *first * kSecondNs) return out;
  const auto second = first ? schedule.next(*first) : std::nullopt;
  if (second && now_ns < *second * kSecondNs) {
    out.time_s = first;
    return out;
  }
  if (!second || *second - *first < 1) {
    return Status(Code::kInvalid, "time difference between two schedules is less than 1 second");
  }
  // How many were missed is an estimate, by the distance between the first two; the latest of them is exact.
  const int64_t between_s = *second - *first;
  const int64_t missed = (now_ns / kSecondNs - *first) / between_s + 1;
  auto time = schedule.next(*first + (missed - 2) * between_s);
  while (time && *time * kSecondNs <= now_ns) {
    out.time_s = time;
    time = schedule.next(*time);
  }
  out.missed = missed > kManyMissed ? Missed::kMany : missed > 0 ? Missed::kFew : Missed::kNone;
  return out;
}

int64_t until_next_ns(const CronJob& job, const Schedule& schedule, int64_t now_ns) {
  int64_t from_s = seconds(now_ns);
  const auto recent = most_recent(job, schedule, now_ns, false);
  if (recent && recent->time_s) {
    from_s = *recent->time_s;
  } else if (recent && recent->missed == Missed::kNone) {
    from_s = seconds(recent->earliest_ns);
  }
  const auto next = schedule.next(from_s);
  if (!next) return 0;
  return std::max<int64_t>(kPaddingNs, *next * kSecondNs + kPaddingNs - now_ns);
}

Result<Schedule> schedule_of(const CronJob& job) {
  const std::string& text = job.spec().schedule();
  if (text.find("TZ") != std::string::npos || !job.spec().has_timezone()) return Schedule::parse(text);
  ORLOP_ASSIGN(const TimeZone zone, TimeZone::load(job.spec().timezone()));
  return Schedule::parse(text, zone);
}

std::string job_name_at(const CronJob& job, int64_t scheduled_s) {
  return job.metadata().name() + "-" + std::to_string(scheduled_s / 60);
}

Result<k8s::io::api::batch::v1::Job> job_at(const CronJob& job, int64_t scheduled_s) {
  ORLOP_ASSIGN(const TimeZone zone, TimeZone::load(job.spec().timezone()));
  const auto& source = job.spec().jobtemplate();
  k8s::io::api::batch::v1::Job out;
  auto& metadata = *out.mutable_metadata();
  metadata.set_name(job_name_at(job, scheduled_s));
  metadata.set_namespace_(job.metadata().namespace_());
  *metadata.mutable_labels() = source.metadata().labels();
  *metadata.mutable_annotations() = source.metadata().annotations();
  (*metadata.mutable_annotations())[kScheduledAnnotation] = zone.rfc3339(scheduled_s);
  *metadata.add_ownerreferences() = controller_reference(job);
  *out.mutable_spec() = source.spec();
  return out;
}

std::optional<int64_t> scheduled_of(const CronJob& job, const k8s::io::api::batch::v1::Job& made) {
  const std::string& name = made.metadata().name();
  const std::string start = job.metadata().name() + "-";
  if (!name.starts_with(start) || !made.metadata().annotations().contains(kScheduledAnnotation)) return std::nullopt;
  int64_t minutes = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + start.size(), end, minutes);
  if (error != std::errc() || rest != end) return std::nullopt;
  return minutes * 60;
}

std::string rfc1123(int64_t unix_s) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const CivilTime time = civil_of(unix_s);
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "%s, %02d %s %04lld %02d:%02d:%02d +0000", kDays[time.weekday], time.day,
                    kMonths[time.month - 1], static_cast<long long>(time.year), time.hour, time.minute, time.second);
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace orlop::workload
