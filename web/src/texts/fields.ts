/** What is said beside any field that something is written into. */
import { speak } from '../locale.svelte';

export const fieldWords = speak({
  ko: {
    tooLong: (max: number, now: number) => `${max}자까지 적을 수 있어요. 지금은 ${now}자예요.`,
    badField: '이 값은 쓸 수 없어요. 다시 적어 주세요.',
    controls: '눈에 보이지 않는 제어 문자가 섞여 있어요. 지우고 다시 적어 주세요.',
    wholeNumber: (min: string, max: string) => `${min}에서 ${max}까지의 정수예요. 0–9 숫자로만 적어 주세요.`,
    showPassword: '비밀번호 보기',
    hidePassword: '비밀번호 숨기기',
  },
  en: {
    tooLong: (max, now) => `At most ${max} characters; these are ${now}.`,
    badField: 'This value cannot be used. Please change it.',
    controls: 'There is a control character in it, which cannot be seen. Please write it without.',
    wholeNumber: (min, max) => `A whole number from ${min} to ${max}, written in digits 0–9 only.`,
    showPassword: 'Show password',
    hidePassword: 'Hide password',
  },
});
