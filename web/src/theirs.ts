/** What one person wanted and waited for is theirs alone; loaded with what is sent that way. */
import { Refused } from './api/http';
import { ANOTHER_PERSON, currentUser, know, meet, signInMark } from './session.svelte';

/**
 * `act` as long as whoever is signed in now still is: what they wanted and waited for is not sent by
 * whoever comes after them.
 */
export function forThem<A extends unknown[], T>(act: (...of: A) => Promise<T>): (...of: A) => Promise<T> {
  const [as, who] = [signInMark(), currentUser()?.username];
  return async (...of) => {
    let another = meet();
    const mark = signInMark();
    // The same person may have signed in again.
    if (mark && mark !== as && !currentUser()) await know();
    another ||= mark !== as && currentUser()?.username !== who;
    if (another) throw new Refused(ANOTHER_PERSON, {}, undefined);
    return act(...of);
  };
}
