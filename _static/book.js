// What the theme leaves out for those who read with the keyboard or by ear (WCAG 2.1.1, 2.5.3, 4.1.2).
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".has-children > details > summary").forEach((summary) => {
    summary.setAttribute("aria-label", "Pages of this section");
  });
  document.querySelectorAll("details.hide > summary").forEach((summary) => summary.removeAttribute("aria-label"));
});
// The theme looks for what scrolls, to let the keyboard reach it, when the window changes; unfolding is a change too.
document.addEventListener("click", (event) => {
  if (event.target.closest(".toggle, details")) window.dispatchEvent(new Event("resize"));
});
