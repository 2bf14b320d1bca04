/* c = a b, for square matrices of n rows, stored row by row. */
void matmul(int n, const double *a, const double *b, double *c)
{
    for (int i = 0; i < n * n; i++) {
        c[i] = 0.0;
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < n; k++) {
                c[i * n + j] += a[i * n + k] * b[k * n + j];
            }
        }
    }
}
