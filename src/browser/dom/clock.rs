//! Clocks of the browser.

/// Milliseconds of a monotonic clock, for measuring durations.
pub fn steady_ms() -> f64 {
    web_sys::window()
        .and_then(|window| window.performance())
        .map_or(0.0, |clock| clock.now())
}

/// Milliseconds since the Unix epoch, by this device's clock.
pub fn now_ms() -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "dates stay far below 2^53 ms"
    )]
    let now = js_sys::Date::now() as i64;
    now
}

/// The moment that the value of a `datetime-local` field names in the time zone of this device, in
/// milliseconds since the Unix epoch. `None` if it names none.
pub fn local_ms(value: &str) -> Option<i64> {
    let at = js_sys::Date::parse(value);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "dates stay far below 2^53 ms"
    )]
    at.is_finite().then_some(at as i64)
}

/// The offset of this device's time zone from UTC at `at_ms`, in minutes.
pub fn offset_minutes(at_ms: i64) -> i32 {
    #[expect(clippy::cast_precision_loss, reason = "dates stay far below 2^53 ms")]
    let date = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(at_ms as f64));
    let behind_utc = date.get_timezone_offset();
    if behind_utc.is_nan() {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "offsets are within a day")]
    let offset = -(behind_utc as i32);
    offset
}
