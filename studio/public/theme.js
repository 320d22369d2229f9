// Before the first paint: the theme that was chosen, if one was. (Without it the system's holds.)
try {
  const chosen = localStorage.getItem("edgewright.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is shut off: the system's theme it is.
}
