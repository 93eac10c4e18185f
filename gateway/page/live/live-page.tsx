export function LivePage() {
  return (
    <main class="page">
      <p class="notice">Following the fleet live is not built yet.</p>
    </main>
  );
}
