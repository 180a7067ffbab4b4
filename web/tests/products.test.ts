import { expect, test } from 'vitest';
import { optionsOf } from '../src/options';
import { hasFailed, noteFailed } from '../src/pictures';

test('options of one kind stand together', () => {
  const option = (id: number, name: string, desc: string) => ({ id, name, optionName: String(id), desc });
  expect(optionsOf([option(1, 'size', '55 in'), option(2, 'colour', ''), option(3, 'size', '65 in')])).toEqual([
    { about: 'size', choices: ['55 in', '65 in'] },
    { about: 'colour', choices: ['2'] },
  ]);
});

test('a picture that failed is left alone for a minute', () => {
  noteFailed('/a.png', 1_000);
  expect([hasFailed('/a.png', 60_999), hasFailed('/a.png', 61_000), hasFailed('/b.png', 1_000)]).toEqual([true, false, false]);
});
