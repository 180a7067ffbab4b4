import { describe, expect, test } from 'vitest';
import { firstRoute, matchRoute, ownPath, pieces } from '../src/routes';

describe('a path shows its screen', () => {
  test.each([
    ['/', '', { screen: 'products', name: '' }],
    ['/', '?name=tv', { screen: 'products', name: 'tv' }],
    ['/products/3', '?quantity=4', { screen: 'product', id: 3, quantity: 4 }],
    ['/products/0', '', { screen: 'not-found' }],
    ['/products/03', '', { screen: 'not-found' }],
    ['/products/3/', '', { screen: 'not-found' }],
    ['/mypage', '', { screen: 'my-page' }],
    ['/mypages/1%40uengine.org', '', { screen: 'my-page' }],
    ['/mypages/a/b', '', { screen: 'not-found' }],
    ['/signin', '?from=%2Fmypage', { screen: 'sign-in', from: '/mypage' }],
  ])('%s%s', (path, search, route) => {
    expect(matchRoute(path, search)).toEqual(route);
  });
});

describe('where one came from is never elsewhere', () => {
  test.each([
    ['/mypage', '/mypage'],
    ['/products/3?quantity=2', '/products/3?quantity=2'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/signin?from=/signin', '/'],
    [null, '/'],
  ])('%s', (from, path) => {
    expect(ownPath(from)).toBe(path);
  });
});

test.each([
  ['1', 1],
  ['1000', 1000],
  ['1001', 1000],
  ['0', 1],
  ['-1', 1],
  ['2.5', 1],
  ['1e3', 1],
  ['0x10', 1],
  ['１２', 1],
  ['x', 1],
  ['', 1],
  [null, 1],
])('a quantity written %s is %i', (text, number) => {
  expect(pieces(text)).toBe(number);
});

describe('what a page was answered with decides what it shows', () => {
  test.each([
    [0, false, '/products/3', { screen: 'product', id: 3, quantity: 1 }],
    [404, false, '/products/99999', { screen: 'not-found' }],
    [404, true, '/products/3/', { screen: 'not-found' }],
    [403, true, '/mypages/2%40uengine.org', { screen: 'refused', status: 403 }],
    [503, true, '/mypage', { screen: 'refused', status: 503 }],
    [401, false, '/mypage', { screen: 'sign-in', from: '/mypage' }],
    [401, false, '/orders', { screen: 'sign-in', from: '/orders' }],
    // Their session may only have to be renewed.
    [401, true, '/mypage', { screen: 'my-page' }],
    [401, true, '/orders/7', { screen: 'order', id: 7 }],
    [401, false, '/orders/7', { screen: 'sign-in', from: '/orders/7' }],
    // It says itself that there is none.
    [404, true, '/orders/7', { screen: 'order', id: 7 }],
    [403, true, '/orders/7', { screen: 'refused', status: 403 }],
    [401, true, '/orders', { screen: 'sign-in', from: '/orders' }],
    [401, false, '/signin', { screen: 'sign-in', from: '/' }],
  ])('%i, signed in %s, %s', (status, signedIn, path, route) => {
    expect(firstRoute(status, signedIn, path, '')).toEqual(route);
  });
});
