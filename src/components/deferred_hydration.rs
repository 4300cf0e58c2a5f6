//! Hydration in several tasks.
//!
//! Browsers compile a wasm function at its first call, so hydrating a whole page is one long
//! task that blocks input. The children of [`DeferredHydration`] are skipped at first and
//! hydrated in a task of their own. Until all of them are hydrated, nothing may change the
//! page; [`Hydration`] reports when.

use leptos::prelude::*;
use leptos::tachys::html::attribute::any_attribute::AnyAttribute;
use leptos::tachys::hydration::Cursor;
use leptos::tachys::no_attrs;
use leptos::tachys::renderer::{CastFrom, Rndr, types};
use leptos::tachys::ssr::StreamBuilder;
use leptos::tachys::view::any_view::AnyViewState;
use leptos::tachys::view::{Mountable, Position, PositionState};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The progress of hydration.
#[derive(Clone, Copy)]
pub struct Hydration {
    parts: RwSignal<usize>,
}

impl Hydration {
    /// Provides the progress as context to the children of the calling component.
    pub fn provide() -> Self {
        let parts = RwSignal::new(0);
        provide_context(Self { parts });
        Self { parts }
    }

    /// Whether all of it is hydrated; tracked.
    pub fn is_over(self) -> bool {
        self.parts.get() == 0
    }
}

/// Draws its children, which are one element, and hydrates them in a task of their own.
#[component]
pub fn DeferredHydration(
    /// Exactly one element.
    children: Children,
) -> impl IntoView {
    Part { draw: children }
}

/// A view that is hydrated later.
struct Part {
    draw: Children,
}

impl Render for Part {
    type State = PartState;

    fn build(self) -> Self::State {
        PartState::new(Inside::Live((self.draw)().build()))
    }

    fn rebuild(self, state: &mut Self::State) {
        let mut new = self.build();
        state.insert_before_this(&mut new);
        state.unmount();
        *state = new;
    }
}

no_attrs!(Part);

impl RenderHtml for Part {
    type AsyncOutput = AnyView;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self::AsyncOutput {
        let view = (self.draw)();
        view.resolve().await
    }

    fn to_html_with_buf(
        self,
        buf: &mut String,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        let view = (self.draw)();
        view.to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
    }

    fn to_html_async_with_buf<const OUT_OF_ORDER: bool>(
        self,
        buf: &mut StreamBuilder,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        let view = (self.draw)();
        view.to_html_async_with_buf::<OUT_OF_ORDER>(
            buf,
            position,
            escape,
            mark_branches,
            extra_attrs,
        );
    }

    fn hydrate<const FROM_SERVER: bool>(
        self,
        cursor: &Cursor,
        position: &PositionState,
    ) -> Self::State {
        match position.get() {
            Position::FirstChild => cursor.child(),
            Position::Current => {}
            _ => cursor.sibling(),
        }
        position.set(Position::NextChild);
        let node = cursor.current();
        let Some(element) = types::Element::cast_from(node.clone()) else {
            // The node is not the one that the server rendered: build a new one.
            let mut state = self.build();
            if let Some(parent) = Rndr::get_parent(&node).and_then(types::Element::cast_from) {
                state.mount(&parent, Some(&node));
            }
            return state;
        };
        hydrate_later(self.draw, element)
    }

    fn into_owned(self) -> Self::Owned {
        self
    }
}

/// Hydrates an element in the next task, with the current reactive owner.
fn hydrate_later(draw: Children, element: types::Element) -> PartState {
    let owner = Owner::current();
    let hydration = use_context::<Hydration>();
    if let Some(hydration) = hydration {
        hydration.parts.update(|parts| *parts += 1);
    }
    let open = OpenPart::begin();
    let state = PartState::new(Inside::Waiting(element.clone()));
    let inside = Rc::downgrade(&state.0);
    leptos::task::spawn_local(async move {
        next_task().await;
        if let (Some(inside), Some(owner)) = (inside.upgrade(), owner) {
            let hydrate = || draw().hydrate_from_position::<true>(&element, Position::Current);
            let hydrated = owner.with(|| untrack(hydrate));
            *inside.borrow_mut() = Inside::Live(hydrated);
        }
        // Count the part as hydrated before anything changes the page.
        drop(open);
        if let Some(hydration) = hydration {
            hydration.parts.try_update(|parts| *parts -= 1);
        }
    });
    state
}

/// Hydrates the page and notifies the script when all deferred parts are hydrated.
pub async fn hydrate_whole(hydrating: impl Future<Output = ()>) {
    let open = OpenPart::begin();
    hydrating.await;
    drop(open);
}

thread_local! {
    /// Number of parts that are not hydrated.
    static OPEN_PARTS: Cell<usize> = const { Cell::new(0) };
}

/// A part that is not hydrated. Dropping the last one ends hydration.
struct OpenPart;

impl OpenPart {
    fn begin() -> Self {
        OPEN_PARTS.set(OPEN_PARTS.get() + 1);
        Self
    }
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        OPEN_PARTS.set(OPEN_PARTS.get().saturating_sub(1));
        #[cfg(feature = "hydrate")]
        if OPEN_PARTS.get() == 0 {
            crate::browser::dom::page::hydrated();
        }
    }
}

/// Yields to the browser's event loop.
async fn next_task() {
    #[cfg(feature = "hydrate")]
    gloo_timers::future::TimeoutFuture::new(0).await;
}

/// The mounted state of a part.
struct PartState(Rc<RefCell<Inside>>);

/// The content of a part.
enum Inside {
    /// An element that the server rendered, not hydrated.
    Waiting(types::Element),
    /// Hydrated, or built in the browser.
    Live(AnyViewState),
}

impl PartState {
    fn new(inside: Inside) -> Self {
        Self(Rc::new(RefCell::new(inside)))
    }

    /// Calls `action` with the mounted content.
    fn with<T>(&self, action: impl FnOnce(&mut dyn Mountable) -> T) -> T {
        match &mut *self.0.borrow_mut() {
            Inside::Waiting(element) => action(element),
            Inside::Live(state) => action(state),
        }
    }
}

impl Mountable for PartState {
    fn unmount(&mut self) {
        self.with(|inside| inside.unmount());
    }

    fn mount(&mut self, parent: &types::Element, marker: Option<&types::Node>) {
        self.with(|inside| inside.mount(parent, marker));
    }

    fn insert_before_this(&self, child: &mut dyn Mountable) -> bool {
        self.with(|inside| inside.insert_before_this(child))
    }

    fn elements(&self) -> Vec<types::Element> {
        self.with(|inside| inside.elements())
    }
}
