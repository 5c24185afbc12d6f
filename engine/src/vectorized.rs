//! Element-wise loops at the full vector width of the machine they run on.
//!
//! The build targets plain x86-64, whose vectors are half as wide as what nearly every machine has. `pulp` looks once
//! what there is and calls a copy of the loop compiled for it. Only loops whose elements do not depend on each other,
//! or that fold integers, belong here: their results are the same bits at every width.

use pulp::NullaryFnOnce;

/// A kernel and its arguments. Unlike a closure, it is sure to be inlined into the wide copy.
pub(crate) struct Call<F, A>(pub F, pub A);

impl<A, R, F: FnOnce(A) -> R> NullaryFnOnce for Call<F, A> {
    type Output = R;

    #[inline(always)]
    fn call(self) -> R {
        (self.0)(self.1)
    }
}

/// Defines functions whose bodies are compiled for each vector width and dispatched at run time.
macro_rules! vectorized {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$attribute])*
        $vis fn $name($($argument: $kind),*) $(-> $out)? {
            #[inline(always)]
            fn body(($($argument,)*): ($($kind,)*)) $(-> $out)? $body
            pulp::Arch::new().dispatch($crate::vectorized::Call(body, ($($argument,)*)))
        }
    )*};
}

pub(crate) use vectorized;
