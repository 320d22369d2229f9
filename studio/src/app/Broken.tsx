import { Component, type ReactNode } from "react";
import { w } from "../words";

/** What stands where a page failed. */
export class Broken extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div role="alert" className="p-8 max-w-2xl space-y-2">
        <h1 className="text-xl">{w.broken.title}</h1>
        <p className="text-mute">{w.broken.told}</p>
        <pre className="num text-sm whitespace-pre-wrap border border-line rounded bg-paper p-3">{String(error)}</pre>
      </div>
    );
  }
}
