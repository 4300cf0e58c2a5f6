//! Where a received file goes: a file that the user picks, else the private storage of the site, else
//! memory.

use super::bytes::{call, get, number};
use crate::browser::dom::clock::now_ms;
use crate::state::transfers::frame::Reason;
use js_sys::{Array, Object, Reflect};
use std::cell::{Cell, RefCell};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, Url};

/// Most bytes of all files that are kept in memory, where the browser offers nothing else. 256 MiB: a
/// page of a phone may use little more.
pub const MAX_IN_MEMORY: u64 = 256 * 1024 * 1024;
/// The media type of a received file.
const PLAIN_TYPE: &str = "application/octet-stream";
/// The folder of the private storage.
const FOLDER: &str = "noom-received";
/// Age after which a file of the private storage belongs to no page any more, in milliseconds: a day.
const FORGOTTEN_MS: i64 = 24 * 60 * 60 * 1_000;

/// Where the bytes of one file go.
pub struct Sink {
    place: Place,
    /// Views of bytes that were not written yet.
    queue: RefCell<Array>,
    queued_bytes: Cell<u64>,
    /// The size of the file.
    size: u64,
    /// Whether a write is under way.
    is_busy: Cell<bool>,
    /// The address of the whole file, until it is dropped.
    address: RefCell<Option<String>>,
}

enum Place {
    /// A file that the user has picked.
    Picked { stream: JsValue, file: JsValue },
    /// A file in the private storage.
    Private {
        stream: JsValue,
        file: JsValue,
        folder: JsValue,
        name: String,
    },
    /// Memory of the page.
    Memory(RefCell<Array>),
}

/// What came of asking for a place.
pub enum Opened {
    /// A place for the file.
    Sink(Sink),
    /// The user has closed the dialog.
    Dismissed,
}

impl Sink {
    /// Finds a place for a file. Called on a press, because the browser may ask where to save it.
    /// `free_memory`: bytes that may be kept in memory.
    ///
    /// # Errors
    /// There is no place for a file of this size.
    pub async fn open(name: &str, size: u64, free_memory: u64) -> Result<Opened, Reason> {
        let place = match picked(name).await {
            Ok(Some(place)) => place,
            Ok(None) => match private(size).await {
                Ok(place) => place,
                Err(Reason::TooLarge) => return Err(Reason::TooLarge),
                Err(_) if size <= free_memory => Place::Memory(RefCell::new(Array::new())),
                Err(_) => return Err(Reason::TooLarge),
            },
            Err(error) if get(&error, "name") == "AbortError" => return Ok(Opened::Dismissed),
            Err(_) => return Err(Reason::NotStored),
        };
        Ok(Opened::Sink(Self {
            place,
            queue: RefCell::new(Array::new()),
            queued_bytes: Cell::new(0),
            size,
            is_busy: Cell::new(false),
            address: RefCell::default(),
        }))
    }

    /// The bytes of memory that the file takes.
    pub fn memory_bytes(&self) -> u64 {
        match &self.place {
            Place::Memory(_) => self.size,
            Place::Picked { .. } | Place::Private { .. } => 0,
        }
    }

    /// Queues a view of bytes. Returns whether [`Self::write`] has to be called.
    pub fn push(&self, view: &JsValue, bytes: u64) -> bool {
        self.queue.borrow().push(view);
        self.queued_bytes.set(self.queued_bytes.get() + bytes);
        !self.is_busy.get()
    }

    /// Writes what is queued, all at once. Returns how many bytes; 0 if nothing is queued, or if a
    /// write is under way.
    ///
    /// # Errors
    /// What the browser says.
    pub async fn write(&self) -> Result<u64, JsValue> {
        let bytes = self.queued_bytes.get();
        if bytes == 0 || self.is_busy.replace(true) {
            return Ok(0);
        }
        self.queued_bytes.set(0);
        let queued = self.queue.replace(Array::new());
        let written = self.write_blob(&blob(&queued)?).await;
        self.is_busy.set(false);
        written.map(|()| bytes)
    }

    async fn write_blob(&self, blob: &Blob) -> Result<(), JsValue> {
        match &self.place {
            Place::Picked { stream, .. } | Place::Private { stream, .. } => {
                settled(call(stream, "write", &[blob])).await.map(drop)
            }
            Place::Memory(parts) => {
                parts.borrow().push(blob);
                Ok(())
            }
        }
    }

    /// Begins to keep the file; once.
    pub fn begin_keeping(&self) -> bool {
        !self.is_busy.replace(true)
    }

    /// Keeps the whole file.
    ///
    /// # Errors
    /// What the browser says.
    pub async fn keep(&self) -> Result<(), JsValue> {
        let whole = match &self.place {
            Place::Picked { stream, .. } => {
                return settled(call(stream, "close", &[])).await.map(drop);
            }
            Place::Private { stream, file, .. } => {
                settled(call(stream, "close", &[])).await?;
                settled(call(file, "getFile", &[])).await?.unchecked_into()
            }
            Place::Memory(parts) => blob(&parts.borrow())?,
        };
        // A type that a browser saves and never opens: the file of somebody else may be a page.
        let end = JsValue::from_f64(self.size as f64);
        let plain = call(&whole, "slice", &[&0.into(), &end, &PLAIN_TYPE.into()])?;
        let address = Url::create_object_url_with_blob(plain.unchecked_ref())?;
        *self.address.borrow_mut() = Some(address);
        Ok(())
    }

    /// The address of the whole file, by which the user saves it. `None` if it is saved.
    pub fn address(&self) -> Option<String> {
        self.address.borrow().clone()
    }

    /// Deletes what was written. `is_kept`: the file is whole, and one that the user has picked stays.
    pub async fn delete(&self, is_kept: bool) {
        if let Some(address) = self.address.take() {
            let _ = Url::revoke_object_url(&address);
        }
        match &self.place {
            Place::Picked { stream, file } if !is_kept => {
                let _ = settled(call(stream, "abort", &[])).await;
                // Chromium leaves an empty file.
                let _ = settled(call(file, "remove", &[])).await;
            }
            Place::Private {
                stream,
                folder,
                name,
                ..
            } => {
                if !is_kept {
                    let _ = settled(call(stream, "abort", &[])).await;
                }
                let _ = settled(call(folder, "removeEntry", &[&name.into()])).await;
            }
            Place::Picked { .. } | Place::Memory(_) => {}
        }
    }
}

/// Asks the user for a file. `None` if the browser cannot ask.
async fn picked(name: &str) -> Result<Option<Place>, JsValue> {
    let window = web_sys::window().map(JsValue::from).unwrap_or_default();
    if !get(&window, "showSaveFilePicker").is_function() {
        return Ok(None);
    }
    let options = object("suggestedName", &name.into())?;
    let file = settled(call(&window, "showSaveFilePicker", &[&options])).await?;
    let stream = settled(call(&file, "createWritable", &[])).await?;
    Ok(Some(Place::Picked { stream, file }))
}

/// Opens a file in the private storage.
async fn private(size: u64) -> Result<Place, Reason> {
    let window = web_sys::window().map(JsValue::from).unwrap_or_default();
    let storage = get(&get(&window, "navigator"), "storage");
    let folder = open_folder(&storage).await;
    let folder = folder.map_err(|_| Reason::NotStored)?;
    remove_forgotten(&folder).await;
    let estimate = settled(call(&storage, "estimate", &[])).await;
    if let Ok(estimate) = estimate
        && number(&estimate, "quota") - number(&estimate, "usage") < size as f64
    {
        return Err(Reason::TooLarge);
    }
    let name = format!("{}-{:.0}", now_ms(), js_sys::Math::random() * 1e9);
    let opened = open_private(&folder, &name).await;
    let (file, stream) = opened.map_err(|_| Reason::NotStored)?;
    Ok(Place::Private {
        stream,
        file,
        folder,
        name,
    })
}

async fn open_folder(storage: &JsValue) -> Result<JsValue, JsValue> {
    let root = settled(call(storage, "getDirectory", &[])).await?;
    let create = object("create", &JsValue::TRUE)?;
    let opened = call(&root, "getDirectoryHandle", &[&FOLDER.into(), &create]);
    settled(opened).await
}

async fn open_private(folder: &JsValue, name: &str) -> Result<(JsValue, JsValue), JsValue> {
    let create = object("create", &JsValue::TRUE)?;
    let file = settled(call(folder, "getFileHandle", &[&name.into(), &create])).await?;
    let stream = settled(call(&file, "createWritable", &[])).await?;
    Ok((file, stream))
}

/// Removes the files of pages that ended without removing theirs. Their names begin with a time.
async fn remove_forgotten(folder: &JsValue) {
    let Ok(names) = call(folder, "keys", &[]) else {
        return;
    };
    while let Ok(next) = settled(call(&names, "next", &[])).await
        && let Some(name) = get(&next, "value").as_string()
    {
        let made_ms = name.split('-').next().and_then(|time| time.parse().ok());
        if made_ms.is_none_or(|made_ms: i64| now_ms() - made_ms > FORGOTTEN_MS) {
            let _ = settled(call(folder, "removeEntry", &[&name.into()])).await;
        }
    }
}

fn object(name: &str, value: &JsValue) -> Result<JsValue, JsValue> {
    let object = Object::new();
    Reflect::set(&object, &name.into(), value)?;
    Ok(object.into())
}

fn blob(parts: &Array) -> Result<Blob, JsValue> {
    Blob::new_with_str_sequence_and_options(parts, &BlobPropertyBag::new())
}

/// The result of a call that returns a promise.
pub async fn settled(called: Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
    let promise: js_sys::Promise = called?.dyn_into()?;
    JsFuture::from(promise).await
}
