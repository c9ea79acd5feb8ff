//! A lock on data that a panic leaves whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, whether or not a thread has panicked while it held the lock. For data that every
/// change leaves whole at each step.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_close_a_lock() {
        let number = Mutex::new(1);
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _held = number.lock();
                panic!("while it holds the lock");
            });
            panics.join().expect_err("a panic");
        });
        assert!(number.is_poisoned());
        assert_eq!(*lock(&number), 1);
    }
}
