//! A single-threaded async runtime in virtual time. The same tasks always run in the same order.
//!
//! When no task can run, the clock jumps to the next timer: two days of waiting take no real time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use jiff::{SignedDuration, Timestamp};
use thaw_sim::Clock;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs tasks. Clones share the same tasks and clock.
#[derive(Clone)]
pub struct Runtime {
    inner: Rc<Inner>,
}

struct Inner {
    clock: Clock,
    now: Cell<Timestamp>,
    tasks: RefCell<Vec<Option<Task>>>,
    wakers: RefCell<Vec<Waker>>,
    free_slots: RefCell<Vec<usize>>,
    ready: Arc<Mutex<Vec<usize>>>,
    timers: RefCell<BTreeMap<(Timestamp, u64), Waker>>,
    timer_count: Cell<u64>,
}

impl Runtime {
    /// A runtime that advances this clock, which must be a manual one.
    pub fn new(clock: Clock) -> Self {
        let inner = Inner {
            now: Cell::new(clock.now()),
            clock,
            tasks: RefCell::default(),
            wakers: RefCell::default(),
            free_slots: RefCell::default(),
            ready: Arc::default(),
            timers: RefCell::default(),
            timer_count: Cell::new(0),
        };
        Self { inner: Rc::new(inner) }
    }

    /// The virtual time.
    pub fn now(&self) -> Timestamp {
        self.inner.now.get()
    }

    /// Starts a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let slot = self.inner.free_slots.borrow_mut().pop();
        let slot = slot.unwrap_or_else(|| {
            let mut wakers = self.inner.wakers.borrow_mut();
            let waker = TaskWaker { slot: wakers.len(), ready: Arc::clone(&self.inner.ready) };
            wakers.push(Waker::from(Arc::new(waker)));
            self.inner.tasks.borrow_mut().push(None);
            wakers.len() - 1
        });
        self.inner.tasks.borrow_mut()[slot] = Some(Box::pin(task));
        self.inner.ready.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    /// Sleeps until `deadline`.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let number = self.inner.timer_count.get();
        self.inner.timer_count.set(number + 1);
        let timer = Timer { runtime: self, key: (deadline, number) };
        poll_fn(|context| timer.poll(context)).await;
    }

    /// Sleeps for `duration`.
    pub async fn sleep(&self, duration: SignedDuration) {
        self.sleep_until(add(self.now(), duration)).await;
    }

    /// Runs tasks until none is ready. Returns when the next timer is due.
    pub fn run_until_idle(&self) -> Option<Timestamp> {
        loop {
            let ready = std::mem::take(&mut *self.inner.ready.lock().unwrap_or_else(PoisonError::into_inner));
            if ready.is_empty() {
                return self.inner.timers.borrow().first_key_value().map(|((at, _), _)| *at);
            }
            for slot in ready {
                self.poll(slot);
            }
        }
    }

    /// Advances the clock and wakes the tasks whose timers are due.
    pub fn advance_to(&self, time: Timestamp) {
        self.inner.now.set(time);
        self.inner.clock.set(time);
        loop {
            let mut timers = self.inner.timers.borrow_mut();
            let Some(first) = timers.first_entry().filter(|first| first.key().0 <= time) else { break };
            let waker = first.remove();
            drop(timers);
            waker.wake();
        }
    }

    /// Drops every task.
    pub fn clear(&self) {
        let tasks = std::mem::take(&mut *self.inner.tasks.borrow_mut());
        drop(tasks);
        self.inner.free_slots.borrow_mut().clear();
        self.inner.wakers.borrow_mut().clear();
    }

    fn poll(&self, slot: usize) {
        let Some(mut task) = self.inner.tasks.borrow_mut()[slot].take() else { return };
        let waker = self.inner.wakers.borrow()[slot].clone();
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => self.inner.tasks.borrow_mut()[slot] = Some(task),
            Poll::Ready(()) => self.inner.free_slots.borrow_mut().push(slot),
        }
    }
}

struct TaskWaker {
    slot: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

struct Timer<'a> {
    runtime: &'a Runtime,
    key: (Timestamp, u64),
}

impl Timer<'_> {
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.runtime.now() >= self.key.0 {
            return Poll::Ready(());
        }
        self.runtime.inner.timers.borrow_mut().insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.runtime.inner.timers.borrow_mut().remove(&self.key);
    }
}

/// A flag that tasks can wait for.
#[derive(Default)]
pub struct Signal {
    is_set: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Sets the signal and wakes all who wait for it.
    pub fn set(&self) {
        self.is_set.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Resets the signal.
    pub fn reset(&self) {
        self.is_set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.is_set.get() {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// `time + duration`, or the latest timestamp if that is out of range.
pub fn add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Polls a future until it is ready. It must not wait for a timer or another task.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
