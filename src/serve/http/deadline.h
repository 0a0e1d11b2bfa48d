#pragma once
// A watchdog of one socket: cancels what the socket does when the time is over. Lives on the socket's strand,
// inside an object that a weak pointer can tell to be alive.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

namespace pagoda::serve {

class Deadline {
 public:
  explicit Deadline(boost::asio::ip::tcp::socket& socket) : socket_(socket), timer_(socket.get_executor()) {}

  // Replaces the running deadline. `owner` is the object that holds this one.
  void arm(std::chrono::milliseconds time, const std::weak_ptr<void>& owner) {
    ++generation_;
    expired_ = false;
    wait(time, owner);
  }
  void disarm() {
    ++generation_;
    timer_.cancel();
  }
  bool expired() const { return expired_; }

 private:
  // A cancel reaches only what waits at that moment, and an operation made of several may be between two of
  // them: so it is repeated until somebody has noticed.
  static constexpr std::chrono::milliseconds kRepeat{20};

  void wait(std::chrono::milliseconds time, const std::weak_ptr<void>& owner) {
    timer_.expires_after(time);
    timer_.async_wait([this, owner, generation = generation_](boost::system::error_code error) {
      const std::shared_ptr<void> alive = owner.lock();
      // A wait that was over before it could be cancelled belongs to an older generation.
      if (error || alive == nullptr || generation != generation_) return;
      expired_ = true;
      boost::system::error_code ignored;
      socket_.cancel(ignored);
      wait(kRepeat, owner);
    });
  }

  boost::asio::ip::tcp::socket& socket_;
  boost::asio::steady_timer timer_;
  int generation_ = 0;
  bool expired_ = false;
};

}  // namespace pagoda::serve
