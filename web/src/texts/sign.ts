/** What is said at signing in and up. */
import { speak } from '../locale.svelte';

export const signWords = speak({
  ko: {
    emailLabel: '이메일',
    passwordLabel: '비밀번호',
    nicknameLabel: '이름',
    addressLabel: '주소',
    wrongPair: '이메일이나 비밀번호가 맞지 않아요. 다시 확인해 주세요.',
    ended: '오래 쉬어서 로그인이 끝났어요. 다시 로그인하면 하던 일을 이어서 할 수 있어요.',
    newHere: '처음 오셨나요?',
    alreadyHere: '이미 회원이신가요?',
    emailShape: '이메일 모양으로 적어 주세요. 예: name@example.com',
    passwordLength: (min: number, max: number) => `비밀번호는 ${min}자에서 ${max}자까지예요.`,
    passwordHint: (min: number) => `${min}자 이상`,
    nicknameMissing: '이름을 적어 주세요.',
    addressMissing: '주소를 적어 주세요.',
    usernameTaken: '이미 가입한 이메일이에요. 로그인해 주세요.',
    signUp: '회원가입',
  },
  en: {
    emailLabel: 'Email',
    passwordLabel: 'Password',
    nicknameLabel: 'Name',
    addressLabel: 'Address',
    wrongPair: 'This email and password do not match. Please check both.',
    ended: 'Your session has ended. Sign in again to go on where you were.',
    newHere: 'New here?',
    alreadyHere: 'Already a member?',
    emailShape: 'Write it like an email address: name@example.com',
    passwordLength: (min, max) => `A password has ${min} to ${max} characters.`,
    passwordHint: (min) => `At least ${min} characters`,
    nicknameMissing: 'Please write your name.',
    addressMissing: 'Please write your address.',
    usernameTaken: 'This email is already a member. Please sign in.',
    signUp: 'Sign up',
  },
});
