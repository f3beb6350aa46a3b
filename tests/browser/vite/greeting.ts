// I own: one sentence. I may call: nothing. I never hold state.

export function greet(name: string): string {
  return `Hello, ${name}`;
}
