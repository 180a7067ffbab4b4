import { describe, expect, it, vi } from 'vitest';
import { changeSeen } from '../src/api/changes';
import { Refused, type Answer } from '../src/api/http';
import { changedByOthers, edited, typedOver, type Written } from '../src/edits';

describe('an edit beside those of others', () => {
  const base: Written = { name: 'TV', price: '100', stock: '9', imageUrl: '', stockPolicy: 'cancel' };

  it.each([
    ['what nobody typed over moves, and is said', { price: '120' }, { name: 'TV 2' }, [['price', '120', undefined]]],
    ['what was typed over meets the other', { price: '120' }, { price: '110' }, [['price', '120', '110']]],
    ['the same typed by both meets nothing', { price: '120' }, { price: '120' }, []],
    ['stock moves by itself', { stock: '8' }, { price: '110' }, []],
    ['stock that was typed over meets what it is now', { stock: '8' }, { stock: '30' }, [['stock', '8', '30']]],
    ['a picture that was taken away is said', { imageUrl: '/b.png' }, { imageUrl: '/a.png' }, [['imageUrl', '/b.png', '/a.png']]],
    ['nothing has changed', {}, { name: 'TV 2' }, []],
  ])('%s', (_, theirs, mine, met) => {
    const found = changedByOthers(base, { ...base, ...theirs }, { ...base, ...mine });
    expect(found.map((it) => [it.member, it.theirs, it.yours])).toEqual(met);
  });

  it('keeps what was typed and what it was typed over', () => {
    const typed = { ...base, price: '110', name: 'TV 2' };
    expect([edited(typed, base), typedOver(typed, base)]).toEqual([
      { name: 'TV 2', price: '110' },
      { name: 'TV', price: '100' },
    ]);
  });
});

describe('a change of what was seen', () => {
  const answer = <T>(body: T, etag: string): Answer<T> => ({ body, etag, position: null, staleSince: null });
  const changedElsewhere = new Refused(412, {}, undefined);

  it('names the tag that was read, and the next one where the row went on by itself', async () => {
    const tags: (string | null)[] = [];
    const change = (row: number, etag: string | null): Promise<string> => {
      tags.push(etag);
      return tags.length < 3 ? Promise.reject(changedElsewhere) : Promise.resolve(`done with ${row}`);
    };
    let row = 1;
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(++row, `"${row}"`));
    expect(await changeSeen(answer(1, '"1"'), read, () => true, change)).toBe('done with 3');
    expect(tags).toEqual(['"1"', '"2"', '"3"']);
  });

  it('is not sent again where the reader has to look first', async () => {
    const change = vi.fn(() => Promise.reject(changedElsewhere));
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(2, '"2"'));
    expect(await changeSeen(answer(1, '"1"'), read, (now) => now === 1, change)).toBeUndefined();
    expect(change).toHaveBeenCalledOnce();
  });

  it('is given up where the row never stands still, and where it is refused for another reason', async () => {
    const read = (): Promise<Answer<number>> => Promise.resolve(answer(2, '"2"'));
    const change = vi.fn(() => Promise.reject(changedElsewhere));
    await expect(changeSeen(answer(1, '"1"'), read, () => true, change)).rejects.toBe(changedElsewhere);
    expect(change).toHaveBeenCalledTimes(5);
    const no = new Refused(409, {}, undefined);
    await expect(changeSeen(answer(1, '"1"'), read, () => true, () => Promise.reject(no))).rejects.toBe(no);
  });
});
