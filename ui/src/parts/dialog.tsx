// Dialogs over the browser's own element, which keeps the focus inside and gives it back.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../words";
import { Button } from "./basics";

interface DialogProps {
  title: string;
  onClose: () => void;
  size?: "small" | "medium" | "large";
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, size = "medium", actions, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    // The first thing to do here, and not the way out of it.
    const first = [
      ".body :is(input:not([hidden], [type=file]), select, textarea, button, a)",
      "footer button",
    ];
    const target = first.map((css) => dialog?.querySelector<HTMLElement>(css)).find((found) => found != null);
    target?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog ${size}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button icon="close" look="quiet" label={t("close")} onClick={onClose} />
      </header>
      <div class="body">{children}</div>
      {actions !== undefined && <footer>{actions}</footer>}
    </dialog>
  );
}

interface Question {
  title: string;
  text: ComponentChildren;
  yes: string;
  isDangerous: boolean;
  answer: (isYes: boolean) => void;
}

const question = signal<Question | null>(null);

/** Asks before something that cannot be taken back. */
export function confirmed(
  title: string,
  text: ComponentChildren,
  yes: string,
  isDangerous = true,
): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      title,
      text,
      yes,
      isDangerous,
      answer: (isYes) => {
        question.value = null;
        resolve(isYes);
      },
    };
  });
}

export function Questions() {
  const asked = question.value;
  if (!asked) return null;
  return (
    <Dialog
      title={asked.title}
      size="small"
      onClose={() => asked.answer(false)}
      actions={
        <>
          <Button onClick={() => asked.answer(false)}>{t("cancel")}</Button>
          <Button look={asked.isDangerous ? "danger" : "primary"} onClick={() => asked.answer(true)}>
            {asked.yes}
          </Button>
        </>
      }
    >
      <p>{asked.text}</p>
    </Dialog>
  );
}
