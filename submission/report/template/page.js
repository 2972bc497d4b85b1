// Put the parts together, and listen to the keyboard.

const viewer = new Viewer();
const list = new SentenceList((entry, byHand) => {
  viewer.open(entry);
  // On a narrow screen the viewer is below the list.
  if (byHand && window.matchMedia("(max-width: 60rem)").matches) {
    document.getElementById("viewer").scrollIntoView();
  }
});

document.getElementById("previous").onclick = () => list.step(-1);
document.getElementById("next").onclick = () => list.step(1);
document.getElementById("show-empty").onclick = () => {
  list.showEmpty();
  document.getElementById("search").scrollIntoView({ block: "nearest" });
};

const KEYS = {
  ArrowLeft: () => viewer.step(-1),
  ArrowRight: () => viewer.step(1),
  ArrowUp: () => list.step(-1),
  ArrowDown: () => list.step(1),
  " ": () => viewer.toggle(),
  "/": () => document.getElementById("search").focus(),
};

// Keys that scroll a page everywhere else; they are ours where the focus is in list or viewer.
const SCROLLING = new Set(["ArrowUp", "ArrowDown", " "]);
const isOurs = (at) => at.closest("#viewer, #sentences") && !at.matches(".scroll");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (at.matches("#search, select")) {
    if (event.key === "Escape") at.blur();
    return;
  }
  // A button or box under the focus keeps the space key, as everywhere; a sentence has Enter.
  const isControl = at.matches("button, a, input[type=checkbox]") && !at.closest("#sentences");
  if (event.key === " " && isControl) return;
  if (/^[1-9]$/.test(event.key)) {
    document.querySelectorAll("#layers input")[Number(event.key) - 1]?.click();
    return;
  }
  if (SCROLLING.has(event.key) && !isOurs(at)) return;
  if (event.key.startsWith("Arrow") && at.matches(".scroll")) return;
  if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

// What is wider than its place fades out at the side where it goes on, and scrolls by keyboard.
function showWhatIsHidden(box) {
  const rest = box.scrollWidth - box.clientWidth;
  const sides = [box.scrollLeft > 1 && "left", box.scrollLeft < rest - 1 && "right"];
  box.dataset.more = sides.filter(Boolean).join(" ");
  if (rest > 1) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

for (const box of document.querySelectorAll(".scroll")) {
  const look = () => showWhatIsHidden(box);
  box.addEventListener("scroll", look, { passive: true });
  const watch = new ResizeObserver(look);
  watch.observe(box);
  watch.observe(box.firstElementChild);
}

list.start();
