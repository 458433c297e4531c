//! Tasks and timers in virtual time: one thread, no clock but ours, the same order every time.
//!
//! When no task can go on, time jumps to the next timer. Two days of waiting take as long as there is work in them.

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

/// Runs tasks; clones are the same runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Rc<Inner>,
}

struct Inner {
    clock: Clock,
    now: Cell<Timestamp>,
    tasks: RefCell<Vec<Option<Task>>>,
    wakers: RefCell<Vec<Waker>>,
    free: RefCell<Vec<usize>>,
    woken: Arc<Mutex<Vec<usize>>>,
    timers: RefCell<BTreeMap<(Timestamp, u64), Waker>>,
    serial: Cell<u64>,
}

struct Awake {
    task: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self.task);
    }
}

impl Runtime {
    /// A runtime that moves this clock, which must be a manual one.
    pub fn new(clock: Clock) -> Self {
        let inner = Inner {
            now: Cell::new(clock.now()),
            clock,
            tasks: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
            woken: Arc::default(),
            timers: RefCell::default(),
            serial: Cell::new(0),
        };
        Self { inner: Rc::new(inner) }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.inner.now.get()
    }

    /// Begins a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let slot = self.inner.free.borrow_mut().pop();
        let slot = slot.unwrap_or_else(|| {
            let mut wakers = self.inner.wakers.borrow_mut();
            let awake = Awake { task: wakers.len(), woken: Arc::clone(&self.inner.woken) };
            wakers.push(Waker::from(Arc::new(awake)));
            self.inner.tasks.borrow_mut().push(None);
            wakers.len() - 1
        });
        self.inner.tasks.borrow_mut()[slot] = Some(Box::pin(task));
        self.inner.woken.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    /// Waits until a moment.
    pub async fn until(&self, at: Timestamp) {
        let serial = self.inner.serial.get();
        self.inner.serial.set(serial + 1);
        let timer = Timer { runtime: self, key: (at, serial) };
        poll_fn(|context| timer.poll(context)).await;
    }

    /// Waits.
    pub async fn sleep(&self, time: SignedDuration) {
        self.until(later(self.now(), time)).await;
    }

    /// Runs what can run, and answers when the next timer is due.
    pub fn run_ready(&self) -> Option<Timestamp> {
        loop {
            let woken = std::mem::take(&mut *self.inner.woken.lock().unwrap_or_else(PoisonError::into_inner));
            if woken.is_empty() {
                return self.inner.timers.borrow().first_key_value().map(|((at, _), _)| *at);
            }
            for slot in woken {
                self.poll(slot);
            }
        }
    }

    /// Moves time on to a moment, and wakes who waited for it.
    pub fn advance_to(&self, at: Timestamp) {
        self.inner.now.set(at);
        self.inner.clock.set(at);
        loop {
            let mut timers = self.inner.timers.borrow_mut();
            let Some(first) = timers.first_entry().filter(|first| first.key().0 <= at) else { break };
            let waker = first.remove();
            drop(timers);
            waker.wake();
        }
    }

    /// Forgets every task. What they held is let go.
    pub fn clear(&self) {
        let tasks = std::mem::take(&mut *self.inner.tasks.borrow_mut());
        drop(tasks);
        self.inner.free.borrow_mut().clear();
        self.inner.wakers.borrow_mut().clear();
    }

    fn poll(&self, slot: usize) {
        let Some(mut task) = self.inner.tasks.borrow_mut()[slot].take() else { return };
        let waker = self.inner.wakers.borrow()[slot].clone();
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => self.inner.tasks.borrow_mut()[slot] = Some(task),
            Poll::Ready(()) => self.inner.free.borrow_mut().push(slot),
        }
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

/// A moment after another.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Something that has happened or not, for those who wait for it.
#[derive(Default)]
pub struct Flag {
    up: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Flag {
    /// It has happened.
    pub fn raise(&self) {
        self.up.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// It may happen again.
    pub fn lower(&self) {
        self.up.set(false);
    }

    /// Whether it has happened.
    pub fn is_up(&self) -> bool {
        self.up.get()
    }

    /// Waits until it has happened.
    pub async fn raised(&self) {
        poll_fn(|context| {
            if self.up.get() {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Runs a future that waits for nobody to its end: a look at things as they are at this moment.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
