export type Piece = { text: string; link: boolean };

/** Text with the addresses in it apart. Only what begins with https:// or http:// is one. */
export function pieces(text: string): Piece[] {
  return text
    .split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])/)
    .map((part, i) => ({ text: part, link: i % 2 === 1 }))
    .filter((one) => one.text);
}
