//! The local backend as users meet it. The feature `test` lets this test program start slots.

mod calls;
