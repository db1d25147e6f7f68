// A button that opens a list of actions, with the keys that such lists have everywhere.

import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "./basics";
import { Icon, type IconName } from "./icons";

export interface Action {
  text: string;
  icon: IconName;
  isDangerous?: boolean;
  run: () => void;
}

export function Menu({ label, actions }: { label: string; actions: readonly Action[] }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();

  useLayoutEffect(() => {
    if (!isOpen) return;
    root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen]);

  function close() {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    const items = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1 + items.length,
      Home: 0,
      End: items.length - 1,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      items[step % items.length]?.focus();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      close();
    } else if (event.key === "Tab") {
      setOpen(false);
    }
  }

  return (
    <div class="menu" ref={root}>
      <Button
        icon="more"
        look="quiet"
        label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div id={id} role="menu" tabIndex={-1} onKeyDown={onKeyDown}>
          {actions.map((action) => (
            <button
              key={action.text}
              type="button"
              role="menuitem"
              class={action.isDangerous ? "bad" : ""}
              onClick={() => {
                close();
                action.run();
              }}
            >
              <Icon name={action.icon} />
              {action.text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
