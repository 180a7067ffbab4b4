import type { ProductOption } from './api/wire';

export interface Choices {
  about: string;
  choices: string[];
}

/** The choices under what they are about, in the order given: size → 55 in, 65 in. */
export function optionsOf(options: readonly ProductOption[]): Choices[] {
  const found: Choices[] = [];
  for (const { name, optionName, desc } of options) {
    const choice = desc || optionName;
    const kind = found.find((it) => it.about === name);
    if (kind) kind.choices.push(choice);
    else found.push({ about: name, choices: [choice] });
  }
  return found;
}
