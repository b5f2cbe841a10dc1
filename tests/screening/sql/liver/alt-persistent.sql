(coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
  AND (coalesce(bool_or(marker = 'liver/alt' AND age <= 8035200000 AND low * 10 >= upper_least * 11), false)
    AND coalesce(max(low) FILTER (WHERE marker = 'liver/alt' AND age <= 39571200000) >= min(upper_least) FILTER (WHERE marker = 'liver/alt' AND age <= 8035200000), false)))
