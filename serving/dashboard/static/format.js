// Numbers and days as people read them; written as the server writes them.
const MINUS = "\u2212";
// Halves are rounded as the server rounds them, so that a number is the same on every page.
const numberFormat = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven" });
const whole = numberFormat(0), tenths = numberFormat(1);
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function units(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  const size = Math.abs(value);
  const text = size >= 9.95 || value === 0 ? whole.format(size) : tenths.format(size);
  return (value < 0 && /[1-9]/.test(text) ? MINUS : "") + text;
}

export const count = (number) => whole.format(number);

export function change(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  const text = whole.format(Math.abs(value) * 100) + "\u202f%";
  if (text === "0\u202f%") return "\u00b1" + text;
  return (value < 0 ? MINUS : "+") + text;
}

export function weekday(day) {
  return new Date(day + "T00:00Z").getUTCDay();
}

// What the page's dates stand for: days, weeks or months.
export const spacing = document.body.dataset.spacing ?? "daily";

export function dayText(day) {
  const date = new Date(day + "T00:00Z");
  if (spacing === "weekly") return `week of ${shortDay(day)}`;
  if (spacing === "monthly") return `month of ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${DAYS[date.getUTCDay()]} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}

export function shortDay(day) {
  const date = new Date(day + "T00:00Z");
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}

export function duration(seconds) {
  const rest = Math.floor(seconds);
  return rest < 60 ? `${rest} s` : `${Math.floor(rest / 60)} min ${rest % 60} s`;
}
