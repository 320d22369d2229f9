/** Gives the focus back to what had it; to the page where that is gone. */
export function giveBack(to: Element | null): void {
  if (to instanceof HTMLElement) to.focus();
  if (document.activeElement !== to || to === document.body) document.getElementById("page")?.focus({ preventScroll: true });
}

/** Closes a dialog where a press was beside it; its own scrollbar is a part of it. */
export function besideCloses(event: React.MouseEvent<HTMLDialogElement>, close: () => void): void {
  if (event.target !== event.currentTarget) return;
  const { left, right, top, bottom } = event.currentTarget.getBoundingClientRect();
  if (event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom) return;
  event.preventDefault(); // the press would take the focus that is given back
  close();
}
