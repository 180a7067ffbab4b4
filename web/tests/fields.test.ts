import { expect, test } from 'vitest';
import { isPicture, isUsername } from '../src/credentials';
import { charsOf, hasControls } from '../src/limits';
import { wholeOf } from '../src/numbers';

test.each([
  ['1', 1],
  ['1000', 1000],
  [' 12 ', 12],
  ['007', 7],
  ['0', undefined],
  ['1001', undefined],
  ['1.5', undefined],
  ['1,5', undefined],
  ['-3', undefined],
  ['+3', undefined],
  ['1e3', undefined],
  ['0x10', undefined],
  ['１２', undefined],
  ['٣', undefined],
  ['1 2', undefined],
  ['12개', undefined],
  ['', undefined],
  [' ', undefined],
  ['9'.repeat(400), undefined],
])('%j written for 1 to 1000 is %s', (text, number) => {
  expect(wholeOf(text, 1, 1000)).toBe(number);
});

test.each([
  ['', 0],
  [' 가나 ', 2],
  ['가', 1],
  ['👍🏽', 2],
])('%j counts as %i characters', (text, chars) => {
  expect(charsOf(text.normalize('NFD'))).toBe(chars);
});

test.each([
  ['1@uengine.org', true],
  [' New@Example.com ', true],
  ['no-at-sign', false],
  ['a@b.html', false],
  [`${'a'.repeat(64)}@b`, true],
  [`${'a'.repeat(65)}@b`, false],
])('%s as a username: %s', (name, taken) => {
  expect(isUsername(name)).toBe(taken);
});

test.each([
  ['', false],
  ['서울시 강남구', false],
  ['  서울시\n', false],
  ['서울\u0001시', true],
  ['서울시\n강남구', true],
  ['a\u007f', true],
  ['a\u200b', false],
])('%j has a control character that would be sent: %s', (text, has) => {
  expect(hasControls(text)).toBe(has);
});

test.each([
  ['', true],
  ['/goods/img/TV.svg', true],
  ['/그림.svg?v=2#a', true],
  ['https://pictures.example/a.png', true],
  ['https://x', true],
  ['http://pictures.example/a.png', false],
  ['//pictures.example/a.png', false],
  ['/\\pictures.example/a.png', false],
  ['https:///a.png', false],
  ['https://', false],
  ['https://x/@a.png', true],
  ['https://x?@', true],
  ['https://user:pw@host/x.svg', false],
  ['https://user@host', false],
  ['https://@host/x.svg', false],
  ['https://x/a b.png', false],
  ['/a\u0000.png', false],
  ['javascript:alert(1)', false],
  ['data:image/png;base64,AAAA', false],
  ['a.png', false],
])('a picture at %j: %s', (address, taken) => {
  expect(isPicture(address)).toBe(taken);
});
